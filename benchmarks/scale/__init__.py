"""The parts of operator_scale.py: the ground, what is asked of it, and what was seen."""
