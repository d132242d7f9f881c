"""Turns InferenceServices into model pods and reports what became of them."""

#: The release of the whole distribution; pyproject.toml reads it here, and the image has it without metadata.
__version__ = "0.1.0"
