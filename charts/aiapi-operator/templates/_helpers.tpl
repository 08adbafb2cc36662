{{/* Labels of everything in the chart. */}}
{{- define "aiapi-operator.labels" -}}
{{ include "aiapi-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Labels that select the operator's pods; the AIApis' NetworkPolicies let in the first. */}}
{{- define "aiapi-operator.selector" -}}
app.kubernetes.io/name: aiapi-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* One operator for a cluster: names of cluster-wide objects tell the namespaces apart. */}}
{{- define "aiapi-operator.clusterName" -}}
{{ printf "%s-%s" .Release.Namespace (include "aiapi-operator.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The release's name where it says what this is, and the chart's after it where it does not. */}}
{{- define "aiapi-operator.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end }}
