"""Makes a merged model visible, names it, traces it and removes it. One rule: no digest without its own passing verdict, or an
override with a reason.

``stage`` publishes: ``verdict`` decides, ``verify`` reads the stored bytes, ``evidence`` and ``card`` tell what the model was
made from, ``record`` is what serving reads. Then ``registry`` finds and names revisions, ``lineage`` walks back from them, and
``removal`` deletes them. In storage: ``published/<name>/<digest>.json``, ``lineage/<name>/<digest>/``, ``registry/<name>.json``.
"""
