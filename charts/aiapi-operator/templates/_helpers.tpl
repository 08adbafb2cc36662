{{/* Labels of all objects in the chart. */}}
{{- define "aiapi-operator.labels" -}}
{{ include "aiapi-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels that select the operator's pods. NetworkPolicies of AIApis admit pods with the first one. */}}
{{- define "aiapi-operator.selector" -}}
app.kubernetes.io/name: aiapi-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Name of cluster-scoped objects. It contains the namespace, so that two releases do not collide. */}}
{{- define "aiapi-operator.clusterName" -}}
{{ printf "%s-%s" .Release.Namespace (include "aiapi-operator.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The release name if it contains the chart name; the chart name if the release name is a prefix of
it (aiapi); both joined otherwise. */}}
{{- define "aiapi-operator.name" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else if hasPrefix .Release.Name .Chart.Name -}}
{{ .Chart.Name }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* The shards' numbers as JSON; one shard has none. */}}
{{- define "aiapi-operator.shards" -}}
{{- if gt (int .Values.shards) 1 -}}
{{- if .Values.activator.enabled -}}
{{- fail "shards and activators exclude each other: set activator.enabled=false, or shards=1" -}}
{{- end -}}
{{ until (int .Values.shards) | toJson }}
{{- else -}}
[""]
{{- end -}}
{{- end }}

{{/* Name of a shard's objects. Arguments: root, shard. */}}
{{- define "aiapi-operator.shardName" -}}
{{- $name := include "aiapi-operator.name" (index . 0) -}}
{{- $shard := index . 1 | toString -}}
{{- if $shard -}}
{{ printf "%s-shard-%s" $name $shard }}
{{- else -}}
{{ $name }}
{{- end -}}
{{- end }}

{{/* Labels that select a shard's pods. Arguments: root, shard. */}}
{{- define "aiapi-operator.shardSelector" -}}
{{ include "aiapi-operator.selector" (index . 0) }}
{{- with index . 1 | toString }}
aiapi.dev/shard: {{ . | quote }}
{{- end }}
{{- end }}

{{/* Secret with the CA of the admin ports. The operator creates it. */}}
{{- define "aiapi-operator.adminCaSecret" -}}
{{ include "aiapi-operator.name" . }}-admin-ca
{{- end }}

{{- define "aiapi-operator.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "aiapi-operator.name" .) }}
{{- end }}

{{/* PriorityClass of the pods, or empty. */}}
{{- define "aiapi-operator.priorityClass" -}}
{{- if .Values.priorityClass.name -}}
{{ .Values.priorityClass.name }}
{{- else if .Values.priorityClass.create -}}
{{ printf "%s-%d-%s" (include "aiapi-operator.clusterName" .) (int64 .Values.priorityClass.value) (lower .Values.priorityClass.preemptionPolicy) }}
{{- end -}}
{{- end }}

{{/* Not empty if this release manages the CustomResourceDefinition: it is new, this release installed it,
or is to take it over. */}}
{{- define "aiapi-operator.managesCrd" -}}
{{- $found := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "aiapis.aiapi.dev" -}}
{{- $annotations := dig "metadata" "annotations" dict $found -}}
{{- $owner := printf "%s/%s" (get $annotations "meta.helm.sh/release-namespace") (get $annotations "meta.helm.sh/release-name") -}}
{{- if not .Values.crds.install -}}
{{- else if or (not $found) .Values.crds.takeOwnership (eq $owner (printf "%s/%s" .Release.Namespace .Release.Name)) -}}
true
{{- end -}}
{{- end }}

{{/* repository:tag or repository@digest. Arguments: image, appVersion. */}}
{{- define "aiapi-operator.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{ printf "%s@%s" $image.repository $image.digest }}
{{- else -}}
{{ printf "%s:%s" $image.repository ($image.tag | default (index . 1)) }}
{{- end -}}
{{- end }}

{{/* A map as key=value,key=value. */}}
{{- define "aiapi-operator.selectorText" -}}
{{- $parts := list -}}
{{- range $key, $value := . -}}
{{- $parts = append $parts (printf "%s=%s" $key $value) -}}
{{- end -}}
{{ join "," $parts }}
{{- end }}

{{/* The names in a list of objects, separated by commas. */}}
{{- define "aiapi-operator.names" -}}
{{- $names := list -}}
{{- range . -}}
{{- $names = append $names .name -}}
{{- end -}}
{{ join "," $names }}
{{- end }}

{{/* Name of the activators. */}}
{{- define "aiapi-operator.activator" -}}
{{ include "aiapi-operator.name" . | trunc 53 | trimSuffix "-" }}-activator
{{- end }}

{{/* Labels that select the activators. The operator finds them by the component; their name differs from
the operator's, so that nothing that selects the operator selects them. */}}
{{- define "aiapi-operator.activatorSelector" -}}
app.kubernetes.io/name: aiapi-activator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: activator
{{- end }}

{{/* Labels of the activators' objects. */}}
{{- define "aiapi-operator.activatorLabels" -}}
{{ include "aiapi-operator.activatorSelector" . }}
app.kubernetes.io/part-of: aiapi-operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Annotations of what runs before the release is uninstalled. Argument: weight. */}}
{{- define "aiapi-operator.wakeHook" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* Bindings of the ClusterRole with a suffix: in each watched namespace, or cluster-wide. Arguments:
root, suffix, ServiceAccount, annotations. */}}
{{- define "aiapi-operator.bindings" -}}
{{- $root := index . 0 }}
{{- $suffix := index . 1 }}
{{- $account := index . 2 }}
{{- $annotations := index . 3 }}
{{- $role := printf "%s-%s" (include "aiapi-operator.clusterName" $root | trunc (sub 62 (len $suffix) | int) | trimSuffix "-") $suffix }}
{{- range $namespace := $root.Values.namespaces | default (list "") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "RoleBinding" "ClusterRoleBinding" (ne $namespace "") }}
metadata:
  name: {{ $role }}
  {{- with $namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "aiapi-operator.activatorLabels" $root | nindent 4 }}
  {{- with $annotations }}
  annotations:
    {{- . | nindent 4 }}
  {{- end }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $role }}
subjects:
  - kind: ServiceAccount
    name: {{ $account }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}
{{- end }}

{{/* Where and how pods besides the operator's run. Arguments: root, template with the labels to spread by
or an empty string. */}}
{{- define "aiapi-operator.podPlacement" -}}
{{- $root := index . 0 }}
{{- $selector := index . 1 }}
{{- with include "aiapi-operator.priorityClass" $root }}
priorityClassName: {{ . }}
{{- end }}
{{- with $root.Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $selector }}
{{- with $root.Values.activator.topologySpreadConstraints }}
{{- $labels := dict "labelSelector" (dict "matchLabels" (include $selector $root | fromYaml)) }}
topologySpreadConstraints:
  {{- range . }}
  - {{- toYaml (merge (deepCopy .) $labels) | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
