"""What the right-sizer is told of the fleet: samples from the pods' admin ports."""
