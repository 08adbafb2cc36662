"""What would happen: the operator's own ``decide`` and its peers against a modelled fleet."""
