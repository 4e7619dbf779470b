"""ModelRollouts on Kubernetes: the same engine, with its steps and evidence in storage. One rule: level-based, no finalizers."""
