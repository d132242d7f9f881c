"""`fairlead plan`: whether an InferenceService fits a GPU, before one is taken. The arithmetic is fairlead_runtime.memory."""
