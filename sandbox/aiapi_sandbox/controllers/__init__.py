"""The controllers of kube-controller-manager and kube-scheduler that an AIApi's children need."""
