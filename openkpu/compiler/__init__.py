"""From a trained network to a kmodel."""
