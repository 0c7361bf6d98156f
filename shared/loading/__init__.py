"""From a folder in the hub's layout, or from the hub, to a model: config, weights, checks."""
