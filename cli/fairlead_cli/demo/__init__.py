"""`fairlead demo`: from a bare machine to a model that answers, told as it happens."""
