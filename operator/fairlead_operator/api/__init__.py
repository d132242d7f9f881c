"""What users write: the resource's models, and the CRD generated from them."""
