"""What clients talk to: an ASGI application that picks a revision for each request, relays its bytes and measures."""
