"""A column becomes levels and codes: categories and bins; missing is a level of its own.

``levels``
    the distinct values of a column in canonical order, and how two sets of levels merge
``bins``
    the rule that turns a number into an interval, its edges and their labels
``kept``
    the most frequent levels, and one bucket for the rest
``columns``
    Arrow columns to dictionary indices and look-up tables
"""
