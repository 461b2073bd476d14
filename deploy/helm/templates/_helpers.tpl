{{- define "tributary.name" -}}
{{- if contains "tributary" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-tributary" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tributary.selector" -}}
app.kubernetes.io/name: tributary
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tributary.labels" -}}
{{ include "tributary.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "tributary.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "tributary.container" -}}
image: {{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
env:
  - { name: TRIBUTARY_CONFIG, value: /etc/tributary/tributary.toml }
  - { name: TRIBUTARY_STATE, value: /data/state }
  - { name: TRIBUTARY_DEAD_LETTERS__PATH, value: /data/dead-letters.jsonl }
  - { name: TRIBUTARY_HTTP__LISTEN, value: "0.0.0.0:8080" }
  {{- $name := include "tributary.name" . }}
  {{- $short := printf "%s.%s" $name .Release.Namespace }}
  {{- $names := list $name $short (printf "%s.svc" $short) (printf "%s.svc.cluster.local" $short) }}
  - { name: TRIBUTARY_HTTP__HOSTS, value: {{ concat $names .Values.hosts | join "," | quote }} }
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumeMounts:
  - { name: data, mountPath: /data }
  - { name: tmp, mountPath: /tmp }
  - { name: config, mountPath: /etc/tributary, readOnly: true }
  {{- if .Values.secretName }}
  - { name: secrets, mountPath: /run/secrets/tributary, readOnly: true }
  {{- end }}
workingDir: /data
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end }}

{{- define "tributary.volumes" -}}
- name: tmp
  emptyDir: {}
- name: config
  configMap: { name: {{ include "tributary.name" . }} }
{{- with .Values.secretName }}
- name: secrets
  secret: { secretName: {{ . }}, defaultMode: 0440 }
{{- end }}
{{- end }}

{{- define "tributary.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
