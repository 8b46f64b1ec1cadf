{{/* The name of the release's objects. */}}
{{- define "cde-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "cde-operator.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cde-operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "cde-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "cde-operator.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "cde-operator.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{/* The labels that select the pods of this release only. */}}
{{- define "cde-operator.selector" -}}
app.kubernetes.io/name: {{ include "cde-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The labels of every object. commonLabels cannot override the chart's own labels. */}}
{{- define "cde-operator.labels" -}}
{{- $ours := include "cde-operator.selector" . | fromYaml -}}
{{- $ours = set $ours "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $ours = set $ours "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $ours = set $ours "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- merge $ours .Values.commonLabels | toYaml -}}
{{- end -}}

{{/*
The metadata of an object: `root`, and if needed `suffix` of the name, `namespace`, more `labels` and `annotations`.
*/}}
{{- define "cde-operator.metadata" -}}
metadata:
  name: {{ printf "%s%s" (include "cde-operator.fullname" .root) (.suffix | default "") | quote }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- merge (include "cde-operator.labels" .root | fromYaml) (.labels | default dict) | toYaml | nindent 4 }}
  {{- with merge dict (.annotations | default dict) .root.Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The labels of the pods. They have no version, so that a new chart with the same pods does not restart them. */}}
{{- define "cde-operator.podLabels" -}}
{{- merge (include "cde-operator.selector" . | fromYaml) .Values.podLabels .Values.commonLabels | toYaml -}}
{{- end -}}

{{- define "cde-operator.image" -}}
{{- with .Values.image -}}
{{- $name := ternary (printf "%s/%s" .registry .repository) .repository (ne .registry "") -}}
{{- if .digest -}}
{{ $name }}@{{ .digest }}
{{- else -}}
{{ $name }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the operator's pods and the pod of `helm test` have in common. */}}
{{- define "cde-operator.podSpec" -}}
serviceAccountName: {{ include "cde-operator.serviceAccount" . | quote }}
automountServiceAccountToken: {{ .Values.serviceAccount.automount }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
{{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "cde-operator.volumes" . | trim }}
volumes:
{{- . | nindent 0 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}

{{/* What their containers have in common. */}}
{{- define "cde-operator.container" -}}
image: {{ include "cde-operator.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
{{- include "cde-operator.env" . | trim | nindent 0 }}
{{- with .Values.extraEnvFrom }}
envFrom:
{{- toYaml . | nindent 0 }}
{{- end }}
# `kubectl describe pod` shows the last log lines of a container that failed, such as a rejected configuration.
terminationMessagePolicy: FallbackToLogsOnError
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "cde-operator.volumeMounts" . | trim }}
volumeMounts:
{{- . | nindent 0 }}
{{- end }}
{{- end -}}

{{/*
The operator's configuration: each flag of `cde-operator run` as its environment variable, so that `cde-operator check`
in the same pod has the same configuration. A test compares the variables with the program's own flags.
*/}}
{{- define "cde-operator.env" -}}
{{- $all := dict "CDE_URL" .Values.cde.url "CDE_ALLOW_HTTP" .Values.cde.allowHttp -}}
{{- with .Values.cde.oauth -}}
{{- if .secretName -}}
{{- $_ := set $all "CDE_OAUTH_SECRET" .secretName -}}
{{- $_ := set $all "CDE_OAUTH_CLIENT_ID" .clientId -}}
{{- $_ := set $all "CDE_OAUTH_TOKEN_URL" .tokenUrl -}}
{{- $_ := set $all "CDE_OAUTH_AUTHORIZATION_URL" .authorizationUrl -}}
{{- $_ := set $all "CDE_OAUTH_REVOCATION_URL" .revocationUrl -}}
{{- $_ := set $all "CDE_OAUTH_SCOPES" .scopes -}}
{{- $_ := set $all "CDE_OAUTH_ASSUME_LIFETIME" .assumeLifetime -}}
{{- if .clientSecret.secretName -}}
{{- $_ := set $all "CDE_OAUTH_CLIENT_SECRET_FILE" "/var/run/secrets/cde-oauth/client-secret" -}}
{{- end -}}
{{- else -}}
{{- $_ := set $all "CDE_TOKEN_FILE" "/var/run/secrets/cde/token" -}}
{{- end -}}
{{- end -}}
{{- if or .Values.cde.ca.configMap .Values.cde.ca.secret -}}
{{- $_ := set $all "CDE_CA_FILE" "/var/run/cde-ca/ca.crt" -}}
{{- end -}}
{{- $_ := set $all "CDE_TIMEOUT" .Values.cde.timeout -}}
{{- $_ := set $all "CDE_RATE" (int64 .Values.cde.rate) -}}
{{- $_ := set $all "CDE_CONCURRENCY" (int64 .Values.concurrency) -}}
{{- $_ := set $all "CDE_RETRY_MIN" .Values.retryMin -}}
{{- $_ := set $all "CDE_RETRY_MAX" .Values.retryMax -}}
{{- $_ := set $all "CDE_DEADLINE" .Values.deadline -}}
{{- $_ := set $all "CDE_NAMESPACES" (join "," .Values.namespaces) -}}
{{- $_ := set $all "CDE_SELECTOR" .Values.selector -}}
{{- $_ := set $all "CDE_LEADER_ELECTION" .Values.leaderElection -}}
{{- $_ := set $all "CDE_LISTEN" .Values.listen -}}
{{- $_ := set $all "CDE_LOG_FORMAT" .Values.log.format -}}
{{- $_ := set $all "CDE_OTLP_ENDPOINT" .Values.tracing.endpoint -}}
{{- $_ := set $all "CDE_LOG_LEVEL" .Values.log.level -}}
{{- $_ := set $all "HTTPS_PROXY" .Values.proxy.https -}}
{{- $_ := set $all "HTTP_PROXY" .Values.proxy.http -}}
{{- $_ := set $all "NO_PROXY" .Values.proxy.noProxy -}}
{{- range $field := list "name" "namespace" }}
- name: POD_{{ upper $field }}
  valueFrom:
    fieldRef:
      fieldPath: metadata.{{ $field }}
{{- end }}
{{- range $name, $value := $all }}
{{- if ne (toString $value) "" }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cde-operator.volumeMounts" -}}
{{- /* The directory and not the file (subPath), because only a directory is updated when the Secret changes. */ -}}
{{- if .Values.cde.token.secret }}
- name: cde-token
  mountPath: /var/run/secrets/cde
  readOnly: true
{{- end }}
{{- if .Values.cde.oauth.clientSecret.secretName }}
- name: cde-client-secret
  mountPath: /var/run/secrets/cde-oauth
  readOnly: true
{{- end }}
{{- if or .Values.cde.ca.configMap .Values.cde.ca.secret }}
- name: cde-ca
  mountPath: /var/run/cde-ca
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cde-operator.volumes" -}}
{{- with .Values.cde.token }}
{{- if .secret }}
- name: cde-token
  secret:
    secretName: {{ .secret | quote }}
    items:
    - key: {{ .key | quote }}
      path: token
{{- end }}
{{- end }}
{{- with .Values.cde.oauth.clientSecret }}
{{- if .secretName }}
- name: cde-client-secret
  secret:
    secretName: {{ .secretName | quote }}
    items:
    - key: {{ .key | quote }}
      path: client-secret
{{- end }}
{{- end }}
{{- with .Values.cde.ca }}
{{- if .configMap }}
- name: cde-ca
  configMap:
    name: {{ .configMap | quote }}
    items:
    - key: {{ .key | quote }}
      path: ca.crt
{{- else if .secret }}
- name: cde-ca
  secret:
    secretName: {{ .secret | quote }}
    items:
    - key: {{ .key | quote }}
      path: ca.crt
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cde-operator.port" -}}
{{- regexFind "[0-9]+$" .Values.listen | default "8080" -}}
{{- end -}}

{{/* A duration such as 1h30m or 500ms, in milliseconds. */}}
{{- define "cde-operator.milliseconds" -}}
{{- $epoch := toDate "2006-01-02T15:04:05Z07:00" "1970-01-01T00:00:00Z" -}}
{{- ($epoch | dateModify (toString .)).UnixMilli -}}
{{- end -}}

{{/* The port of a URL such as https://cde.example.com:8443/path. */}}
{{- define "cde-operator.portOf" -}}
{{- $url := urlParse . -}}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "80" "443" (eq $url.scheme "http")) -}}
{{- end -}}
