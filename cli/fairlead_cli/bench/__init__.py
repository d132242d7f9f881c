"""A closed-loop benchmark of one server: load from several processes, statistics, table, JSON and plot. `fairlead bench`."""


class BenchError(Exception):
    """The user must change something; the text says what, and never holds the API key."""
