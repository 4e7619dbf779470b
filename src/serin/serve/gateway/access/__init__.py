"""Who may ask, and how much: keys, scopes, and limits that hold over all gateway replicas together."""
