# The operator and one AIApi. The AIApi can only be planned when its CRD exists, so apply twice:
#   terraform apply -target=helm_release.aiapi
#   terraform apply
terraform {
  required_version = ">= 1.5"
  required_providers {
    helm = {
      source  = "hashicorp/helm"
      version = "~> 3.0"
    }
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = "~> 2.35"
    }
  }
}

variable "kubeconfig" {
  description = "Path of the kubeconfig."
  type        = string
  default     = "~/.kube/config"
}

provider "helm" {
  kubernetes = {
    config_path = var.kubeconfig
  }
}

provider "kubernetes" {
  config_path = var.kubeconfig
}

resource "helm_release" "aiapi" {
  name             = "aiapi"
  repository       = "oci://ghcr.io/aiapi-dev/charts"
  chart            = "aiapi-operator"
  version          = "0.1.0"
  namespace        = "aiapi-system"
  create_namespace = true
}

resource "kubernetes_manifest" "assistant" {
  depends_on = [helm_release.aiapi]

  manifest = {
    apiVersion = "aiapi.dev/v1alpha1"
    kind       = "AIApi"
    metadata = {
      name      = "assistant"
      namespace = "default"
    }
    spec = {
      image = "ghcr.io/acme/assistant:1.4"
      app   = "assistant.main:app"
      env   = [{ name = "LLM_URL", value = "http://llm:8080" }]
      objective = {
        latency = { percentile = 95, threshold = "800ms" }
      }
      replicas = { min = 2, max = 20 }
    }
  }

  wait {
    condition {
      type   = "Ready"
      status = "True"
    }
  }

  timeouts {
    create = "5m"
    update = "5m"
  }
}
