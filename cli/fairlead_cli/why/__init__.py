"""`fairlead why`: one InferenceService's story from spec to pod to engine, told from what the cluster says about it."""
