"""What the gateway tells of its requests: metrics, traces and an access log. Figures, never what was said."""
