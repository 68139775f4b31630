{{- define "cc.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "cc.selector" -}}
app.kubernetes.io/name: containment-chamber
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cc.labels" -}}
{{ include "cc.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: signer
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "cc.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* config.yaml: what the values say, with what the chart decides on top. Two signers on two histories would be slashed. */ -}}
{{- define "cc.config" -}}
{{- $config := deepCopy .Values.config }}
{{- $state := dig "signer_state" "backend" "sqlite" $config }}
{{- $history := dig "anti_slashing" "backend" "sqlite" $config }}
{{- if and (gt (int .Values.replicas) 1) (or (not (has $state (list "postgres" "dynamodb"))) (not (has $history (list "postgres" "dynamodb")))) }}
{{- fail "more than one replica needs signer_state.backend and anti_slashing.backend in a database that they share" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) .Values.initIfMissing }}
{{- fail "initIfMissing makes a chamber: one replica first, and the others join it" }}
{{- end }}
{{- $name := include "cc.name" . }}
{{- $service := printf "%s.%s.svc" $name .Release.Namespace }}
{{- $own := list $name (printf "%s.%s" $name .Release.Namespace) $service (printf "%s.cluster.local" $service) }}
{{- $hosts := concat (dig "server" "host_allowlist" (list "localhost" "127.0.0.1" "[::1]") $config) $own }}
{{- $forced := dict "data_dir" "/var/lib/containment-chamber/data"
      "server" (dict "listen_address" "0.0.0.0" "listen_port" 9000 "host_allowlist" $hosts)
      "metrics" (dict "listen_address" "0.0.0.0" "listen_port" 3000) }}
{{- if .Values.keysSecret }}
{{- $path := "/etc/containment-chamber/keystores" }}
{{- $_ := set $forced "key_sources" (dict "filesystem" (dict "paths" (list $path) "passwords_path" $path)) }}
{{- end }}
{{- toYaml (mergeOverwrite $config $forced) }}
{{- end }}
