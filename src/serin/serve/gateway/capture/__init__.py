"""What is kept of a sample of requests: redacted, spooled on the node, and sent to storage as Parquet."""
