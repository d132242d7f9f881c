{{- define "fairlead.name" -}}
{{- if contains "fairlead" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-fairlead" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "fairlead.selector" -}}
app.kubernetes.io/name: fairlead
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "fairlead.labels" -}}
{{ include "fairlead.selector" . }}
app.kubernetes.io/part-of: fairlead
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Labels as key=value,key=value. */}}
{{- define "fairlead.pairs" -}}
{{- $pairs := list }}
{{- range $key, $value := . }}{{ $pairs = append $pairs (printf "%s=%s" $key $value) }}{{ end }}
{{- join "," $pairs }}
{{- end -}}

{{- /* Annotations of an object; "own" are those of that object alone. */}}
{{- define "fairlead.annotations" -}}
{{- with merge (dict) (.own | default dict) (.root.Values.extraAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* A release that reuses the values of an older chart has none of this one's. */}}
{{- define "fairlead.generatesApiKeys" -}}
{{- $keys := .Values.apiKeys | default dict }}
{{- if hasKey $keys "generate" }}{{ $keys.generate }}{{ else }}true{{ end }}
{{- end -}}

{{- define "fairlead.topologySpreadConstraints" -}}
{{- $default := dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway" }}
{{- $constraints := .Values.topologySpreadConstraints | default (gt (int .Values.replicas) 1 | ternary (list $default) list) }}
{{- $selector := dict "labelSelector" (dict "matchLabels" (include "fairlead.selector" . | fromYaml)) }}
{{- range $constraints }}
{{- /* A merge would add to a selector that is there. */}}
{{- $constraint := . }}
{{- if not (hasKey . "labelSelector") }}{{ $constraint = merge (dict) . $selector }}{{ end }}
- {{ $constraint | toYaml | nindent 2 | trim }}
{{- end }}
{{- end -}}
