{{- define "fairlead.name" -}}
{{- if contains "fairlead" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-fairlead" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "fairlead.selector" -}}
app.kubernetes.io/name: fairlead
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{- /* Labels of an object; "own" are those of that object alone. A pod must have the selector's, whatever else is asked for. */}}
{{- define "fairlead.labels" -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- $made := dict "app.kubernetes.io/part-of" "fairlead" "app.kubernetes.io/version" .root.Chart.AppVersion "helm.sh/chart" $chart }}
{{- $made = set $made "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- $selector := include "fairlead.selector" .root | fromYaml }}
{{- merge (dict) $selector (.own | default dict) (.root.Values.extraLabels | default dict) $made | toYaml }}
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

{{- /* "true" where PodMonitors are made. */}}
{{- define "fairlead.monitored" -}}
{{- and (.Values.podMonitor).enabled (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1/PodMonitor") }}
{{- end -}}

{{- /* "true" where alerts are made. */}}
{{- define "fairlead.alerted" -}}
{{- and (.Values.prometheusRules).enabled (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1/PrometheusRule") }}
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
