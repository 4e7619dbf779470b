"""The custom resources of ``serin.dev/v1alpha1`` as values: what users write, and what the controller answers. No I/O."""
