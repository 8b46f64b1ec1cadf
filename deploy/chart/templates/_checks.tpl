{{/*
Rejects values that values.schema.json cannot reject with a clear message. The messages match those of the operator's
own configuration checks where both exist.
*/}}
{{- define "cde-operator.check" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository must be the image that you have pushed to your registry; pass --set image.repository=registry.example.com/cde-operator" -}}
{{- end -}}
{{- include "cde-operator.checkUrl" . -}}
{{- include "cde-operator.checkCredentials" . -}}
{{- if and .Values.cde.ca.configMap .Values.cde.ca.secret -}}
{{- fail "cde.ca sets both configMap and secret; set only the one that holds the certificates" -}}
{{- end -}}
{{- range $name, $value := dict "proxy.https" .Values.proxy.https "proxy.http" .Values.proxy.http "tracing.endpoint" .Values.tracing.endpoint -}}
{{- if contains "@" $value -}}
{{- fail (printf "%s must not contain a user or password, because Helm stores all values in the cluster; set the URL from a Secret with extraEnv" $name) -}}
{{- end -}}
{{- end -}}
{{- include "cde-operator.checkTimes" . -}}
{{- $names := list -}}
{{- range include "cde-operator.env" . | fromYamlArray -}}
{{- if has .name $names -}}
{{- fail (printf "extraEnv sets %s, which another value already sets; remove one of them" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection) -}}
{{- fail "replicaCount is greater than 1, but leaderElection is false, so all replicas would work at the same time; set leaderElection to true" -}}
{{- end -}}
{{- with .Values.podDisruptionBudget -}}
{{- if and (ne (toString .minAvailable) "") (ne (toString .maxUnavailable) "") -}}
{{- fail "podDisruptionBudget sets both minAvailable and maxUnavailable; set only one of them" -}}
{{- end -}}
{{- $blocks := or (eq (toString .minAvailable) "100%") (has (toString .maxUnavailable) (list "0" "0%")) -}}
{{- if not (hasSuffix "%" (toString .minAvailable)) -}}
{{- $blocks = or $blocks (ge (int .minAvailable) (int $.Values.replicaCount)) -}}
{{- end -}}
{{- if and .enabled (gt (int $.Values.replicaCount) 1) $blocks -}}
{{- fail "podDisruptionBudget lets no pod go; set minAvailable to less than replicaCount, or otherwise no node that runs the operator can be drained" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled -}}
{{- fail "metrics enables both podMonitor and serviceMonitor, so Prometheus would scrape every metric twice; enable only one" -}}
{{- end -}}
{{- end -}}

{{- define "cde-operator.checkUrl" -}}
{{- $url := trim .Values.cde.url -}}
{{- if not $url -}}
{{- fail "cde.url must be the base URL of the CDE API; pass --set cde.url=https://cde.example.com" -}}
{{- else if contains "@" $url -}}
{{- fail "cde.url must not contain a user or password; the token is read from cde.token.secret" -}}
{{- else if or (contains "?" $url) (contains "#" $url) -}}
{{- fail "cde.url must end with the host or a path; remove what begins with ? or #" -}}
{{- else if and (hasPrefix "http://" $url) (not .Values.cde.allowHttp) -}}
{{- fail "cde.url would send the token unencrypted to another host; use https, or set cde.allowHttp if the network is trusted" -}}
{{- else if not (or (hasPrefix "https://" $url) (hasPrefix "http://" $url)) -}}
{{- fail "cde.url must begin with https://" -}}
{{- end -}}
{{- end -}}

{{/* values.schema.json rejects two modes at once. */}}
{{- define "cde-operator.checkCredentials" -}}
{{- $oauth := .Values.cde.oauth -}}
{{- if $oauth.secretName -}}
{{- range $name := list "clientId" "tokenUrl" "authorizationUrl" -}}
{{- if not (get $oauth $name) -}}
{{- fail (printf "cde.oauth.%s is required in login mode; set it, or unset cde.oauth.secretName to read the token from a file" $name) -}}
{{- end -}}
{{- end -}}
{{- range $name := list "tokenUrl" "authorizationUrl" "revocationUrl" -}}
{{- $url := get $oauth $name -}}
{{- if contains "@" $url -}}
{{- fail (printf "cde.oauth.%s must not contain a user or password; the operator reads the client secret from cde.oauth.clientSecret" $name) -}}
{{- else if and $url (not (hasPrefix "https://" $url)) -}}
{{- fail (printf "cde.oauth.%s must begin with https://" $name) -}}
{{- end -}}
{{- end -}}
{{- else if not .Values.cde.token.secret -}}
{{- fail (printf "set one of cde.token.secret and cde.oauth.secretName. For a token from a file, create a Secret with `kubectl -n %s create secret generic cde-operator-token --from-file=token=FILE`, and pass --set cde.token.secret=cde-operator-token. For a login, set cde.oauth (docs/credentials.md)" (include "cde-operator.namespace" .)) -}}
{{- end -}}
{{- end -}}

{{- define "cde-operator.checkTimes" -}}
{{- $times := dict "cde.timeout" .Values.cde.timeout "cde.oauth.assumeLifetime" .Values.cde.oauth.assumeLifetime "retryMin" .Values.retryMin "retryMax" .Values.retryMax "deadline" .Values.deadline -}}
{{- range $name, $time := $times -}}
{{- $bare := and (eq $name "deadline") (eq (toString $time) "0") -}}
{{- if not (or $bare (regexMatch "^([0-9]{1,9}(ms|s|m|h))+$" (toString $time))) -}}
{{- fail (printf "%s is %q, which is not a duration; write it as 30s, 5m or 1h30m" $name (toString $time)) -}}
{{- end -}}
{{- end -}}
{{- $timeout := include "cde-operator.milliseconds" .Values.cde.timeout | int64 -}}
{{- if or (lt $timeout 100) (gt $timeout 3300000) -}}
{{- fail "cde.timeout must be between 100ms and 55m" -}}
{{- end -}}
{{- $min := include "cde-operator.milliseconds" .Values.retryMin | int64 -}}
{{- $max := include "cde-operator.milliseconds" .Values.retryMax | int64 -}}
{{- if gt $min $max -}}
{{- fail "retryMin is longer than retryMax; make it the shorter one" -}}
{{- end -}}
{{- if eq $max 0 -}}
{{- fail "retryMax must be longer than 0s" -}}
{{- end -}}
{{- if lt (include "cde-operator.milliseconds" .Values.cde.oauth.assumeLifetime | int64) 1000 -}}
{{- fail "cde.oauth.assumeLifetime must be at least 1s" -}}
{{- end -}}
{{- $grace := .Values.terminationGracePeriodSeconds -}}
{{- if and (not (kindIs "invalid" $grace)) (lt (mul (int64 $grace) 1000) (add $timeout 10000)) -}}
{{- fail (printf "terminationGracePeriodSeconds must be at least cde.timeout (%s) plus 10 s, or a call under way is cut off before it is recorded; null computes the value" .Values.cde.timeout) -}}
{{- end -}}
{{- end -}}
