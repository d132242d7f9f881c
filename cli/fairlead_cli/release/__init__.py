"""What a release is made of, and what is known of it: wheel, chart, images, their digests, parts and advisories.

`make release`, `make sbom` and `make audit`; docs/contributing.md says when. Runs from a checkout, with the packages of locks/dev.txt.
"""
