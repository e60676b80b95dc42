"""The only users of Dask: graphs of counts, their planning, clusters and settings."""
