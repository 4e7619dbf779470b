"""Makes a merged model visible to serving. One rule: no digest without its own passing verdict, or an override with a reason."""
