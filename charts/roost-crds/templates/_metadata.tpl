{{- define "roost-crds.labels" -}}
app.kubernetes.io/name: roost-crds
app.kubernetes.io/part-of: roost
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Uninstalling this release must not delete every Tenant of the cluster. */}}
{{- define "roost-crds.annotations" -}}
helm.sh/resource-policy: keep
{{- end }}
