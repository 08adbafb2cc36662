"""The sandbox's controllers: the part of kube-controller-manager that the AIApi's children need."""
