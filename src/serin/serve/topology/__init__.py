"""Which revisions run: bringing a published one up, and taking one away without a failed request. Locally and on a cluster."""
