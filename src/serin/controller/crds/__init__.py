"""The CustomResourceDefinitions, from the models of ``serin.core.resources`` to what an API server takes. No I/O."""

from serin.controller.crds.manifests import manifest_text, manifests

__all__ = ["manifest_text", "manifests"]
