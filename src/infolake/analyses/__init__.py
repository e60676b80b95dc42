"""The questions people ask: count, score, associations; all read joint counts."""
