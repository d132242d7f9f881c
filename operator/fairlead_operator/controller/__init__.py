"""The only code that waits or talks: watches, work queue, API requests, the Lease, health."""
