{{- define "roost.labels" -}}
app.kubernetes.io/part-of: roost
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Labels that select the pods of a component: (list "operator" .) */}}
{{- define "roost.selector" -}}
app.kubernetes.io/name: roost-{{ index . 0 }}
app.kubernetes.io/instance: {{ (index . 1).Release.Name }}
{{- end }}

{{/* Reference of an image: (list "roost-operator" .) */}}
{{- define "roost.image" -}}
{{- $context := index . 1 -}}
{{ $context.Values.image.registry }}/{{ index . 0 }}:{{ $context.Values.image.tag | default $context.Chart.AppVersion }}
{{- end }}

{{/* Names of the Secrets with which images are pulled, separated by commas. */}}
{{- define "roost.pullSecretNames" -}}
{{- $names := list }}
{{- range .Values.imagePullSecrets }}{{- $names = append $names .name }}{{- end }}
{{- join "," $names }}
{{- end }}

{{- define "roost.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "roost.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* One replica to a node where there are nodes enough. */}}
{{- define "roost.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "roost.selector" . | nindent 6 }}
{{- end }}

{{- define "roost.gatewayPort" -}}
{{- with .Values.gateway.service.port -}}
{{ . }}
{{- else -}}
{{ ternary 443 80 (not (empty .Values.gateway.tls.secretName)) }}
{{- end -}}
{{- end }}

{{- define "roost.endpointHost" -}}
{{- with .Values.gateway.endpointHost -}}
{{ . }}
{{- else -}}
{{- $port := int (include "roost.gatewayPort" .) -}}
{{- $usual := ternary 443 80 (not (empty .Values.gateway.tls.secretName)) -}}
roost-gateway.{{ .Release.Namespace }}.svc{{ if ne $port $usual }}:{{ $port }}{{ end }}
{{- end -}}
{{- end }}
