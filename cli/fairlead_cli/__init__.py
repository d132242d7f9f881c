"""The `fairlead` command: plan, look into, measure and try out what the operator runs."""
