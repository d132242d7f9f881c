"""Turns InferenceServices into model pods and reports what became of them."""
