{{- define "aigateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for "-control-plane" behind it, and a Service's 63 characters. */}}
{{- define "aigateway.fullname" -}}
{{- $name := include "aigateway.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- end -}}

{{/* What runs, as a JSON list of { component, values }. */}}
{{- define "aigateway.workloads" -}}
{{- $all := list -}}
{{- if .Values.all.enabled -}}
{{- $all = append $all (dict "component" "all" "values" .Values.all) -}}
{{- else -}}
{{- if .Values.proxy.enabled -}}
{{- $all = append $all (dict "component" "proxy" "values" .Values.proxy) -}}
{{- end -}}
{{- if .Values.controlPlane.enabled -}}
{{- $all = append $all (dict "component" "control-plane" "values" .Values.controlPlane) -}}
{{- end -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{/* "true" where a control plane is part of what runs: it has the store, and proxies beside it take models from it. */}}
{{- define "aigateway.hasControlPlane" -}}
{{- if or .Values.all.enabled .Values.controlPlane.enabled -}}true{{- end -}}
{{- end -}}

{{/* "true" where the two planes run apart and so meet in Redis. */}}
{{- define "aigateway.isApart" -}}
{{- if and (not .Values.all.enabled) .Values.controlPlane.enabled -}}true{{- end -}}
{{- end -}}

{{- define "aigateway.migrates" -}}
{{- if and .Values.migration.enabled (include "aigateway.hasControlPlane" .) (ne .Values.store.kind "sqlite") -}}true{{- end -}}
{{- end -}}

{{/* Labels that never change, for selectors. Takes { root, component }. */}}
{{- define "aigateway.selectorLabels" -}}
app.kubernetes.io/name: {{ include "aigateway.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "aigateway.labels" -}}
{{ include "aigateway.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: aigateway
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "aigateway.image" -}}
{{- $image := .Values.image -}}
{{- $repository := required "image.repository is missing: the registry and repository of the gateway's image" $image.repository -}}
{{- $tag := default .Chart.AppVersion $image.tag -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else if eq $tag "latest" -}}
{{- fail "image.tag is latest: nobody could say what runs, or go back to it. Name a version, or image.digest" -}}
{{- else -}}
{{- printf "%s:%s" $repository $tag -}}
{{- end -}}
{{- end -}}

{{- define "aigateway.serviceAccountName" -}}
{{- $account := .values.serviceAccount -}}
{{- $made := printf "%s-%s" (include "aigateway.fullname" .root) .component -}}
{{- default (ternary $made "default" $account.create) $account.name -}}
{{- end -}}

{{- define "aigateway.secretName" -}}
{{- $secrets := .Values.secrets -}}
{{- if or $secrets.externalSecret.enabled $secrets.secretsStore.enabled -}}
{{- default (printf "%s-secrets" (include "aigateway.fullname" .)) $secrets.existingSecret -}}
{{- else -}}
{{- required "secrets.existingSecret is missing: a Secret with AIGATEWAY_SECRET and, for a control plane, LITELLM_MASTER_KEY" $secrets.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* The file of a component. A proxy that follows a control plane has no models of its own, for with them it would stand alone. */}}
{{- define "aigateway.config" -}}
{{- $config := .root.Values.config -}}
{{- if and (eq .component "proxy") (include "aigateway.isApart" .root) -}}
{{- $config = pick $config "aigateway_settings" "general_settings" "litellm_settings" -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* One variable from the secret. Takes { root, name, needed }. */}}
{{- define "aigateway.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ include "aigateway.secretName" .root }}
      key: {{ .name }}
      {{- if not .needed }}
      optional: true
      {{- end }}
{{ end -}}

{{/* Where the store is, for who opens it. */}}
{{- define "aigateway.storeVariables" -}}
{{- if eq .Values.store.kind "postgresql" -}}
{{ include "aigateway.secretVariable" (dict "root" . "name" "DATABASE_URL" "needed" true) }}
{{- else if eq .Values.store.kind "cosmos" -}}
- name: COSMOS_ENDPOINT
  value: {{ required "store.cosmosEndpoint is missing" .Values.store.cosmosEndpoint | quote }}
- name: COSMOS_DATABASE
  value: {{ .Values.store.cosmosDatabase | quote }}
{{ include "aigateway.secretVariable" (dict "root" . "name" "COSMOS_KEY") }}
{{- end -}}
{{- end -}}

{{/* The variables of a component: secrets that its role reads, and no others. */}}
{{- define "aigateway.variables" -}}
{{- $root := .root -}}
{{- $hasStore := ne .component "proxy" -}}
{{- $scaled := ne .values.autoscaling.kind "none" -}}
- name: AIGATEWAY_DATA_DIR
  value: /data
- name: AIGATEWAY_PORT
  value: "8080"
- name: AIGATEWAY_OPS_PORT
  value: "9090"
- name: AIGATEWAY_STOP_DELAY
  value: {{ $root.Values.shutdown.delaySeconds | quote }}
- name: AIGATEWAY_DRAIN_TIME
  value: {{ $root.Values.shutdown.drainSeconds | quote }}
- name: AIGATEWAY_REPLICAS
  value: {{ max 1 (ternary .values.autoscaling.maxReplicas .values.replicas $scaled) | quote }}
{{ include "aigateway.secretVariable" (dict "root" $root "name" "AIGATEWAY_SECRET" "needed" true) -}}
{{ include "aigateway.secretVariable" (dict "root" $root "name" "AIGATEWAY_SECRET_PREVIOUS") -}}
{{- $settings := default dict $root.Values.config.aigateway_settings -}}
{{- $namesRedis := or $settings.redis_url $settings.redis_host $settings.redis_sentinels $settings.redis_cluster_nodes -}}
{{ include "aigateway.secretVariable" (dict "root" $root "name" "REDIS_URL" "needed" (and (include "aigateway.isApart" $root) (not $namesRedis))) -}}
{{ include "aigateway.secretVariable" (dict "root" $root "name" "REDIS_PASSWORD") -}}
{{ include "aigateway.secretVariable" (dict "root" $root "name" "REDIS_SENTINEL_PASSWORD") -}}
{{- if include "aigateway.hasControlPlane" $root -}}
{{ include "aigateway.secretVariable" (dict "root" $root "name" "LITELLM_SALT_KEY") -}}
{{ include "aigateway.secretVariable" (dict "root" $root "name" "LITELLM_SALT_KEY_PREVIOUS") -}}
{{- end -}}
{{- if or $hasStore (not (include "aigateway.isApart" $root)) -}}
{{ include "aigateway.secretVariable" (dict "root" $root "name" "LITELLM_MASTER_KEY" "needed" $hasStore) -}}
{{ include "aigateway.secretVariable" (dict "root" $root "name" "PROXY_API_KEY") -}}
{{- end -}}
{{/* A control plane calls no models, but takes no file that refers to what is not set. */}}
{{- range $root.Values.secrets.modelKeys -}}
{{ include "aigateway.secretVariable" (dict "root" $root "name" . "needed" true) -}}
{{- end -}}
{{- if $hasStore -}}
{{ include "aigateway.storeVariables" $root -}}
{{- end -}}
{{- with .values.extraEnv -}}
{{ toYaml . }}
{{ end -}}
{{- end -}}

{{/* Passes the "restricted" level of Pod Security. */}}
{{- define "aigateway.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "aigateway.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What every pod of the chart says of itself, whatever it runs. */}}
{{- define "aigateway.podCommon" -}}
automountServiceAccountToken: false
# Kubernetes would set AIGATEWAY_PORT and the like for a Service called aigateway, which are settings of the gateway.
enableServiceLinks: false
securityContext:
  {{- include "aigateway.podSecurityContext" . | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The Secrets Store driver makes the secret as long as a pod mounts it. */}}
{{- define "aigateway.secretsVolume" -}}
{{- if .Values.secrets.secretsStore.enabled }}
- name: secrets
  csi:
    driver: secrets-store.csi.k8s.io
    readOnly: true
    volumeAttributes:
      secretProviderClass: {{ include "aigateway.secretName" . }}
{{- end }}
{{- end -}}

{{- define "aigateway.secretsMount" -}}
{{- if .Values.secrets.secretsStore.enabled }}
- name: secrets
  mountPath: /secrets
  readOnly: true
{{- end }}
{{- end -}}

{{/* Annotations of a ServiceAccount with an identity of Azure. Takes { root, clientId, annotations }. */}}
{{- define "aigateway.accountAnnotations" -}}
{{- $annotations := deepCopy (default dict .annotations) -}}
{{- with .root.Values.azureWorkloadIdentity -}}
{{- if .enabled -}}
{{- if $.clientId -}}{{- $_ := set $annotations "azure.workload.identity/client-id" $.clientId -}}{{- end -}}
{{- if .tenantId -}}{{- $_ := set $annotations "azure.workload.identity/tenant-id" .tenantId -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if $annotations -}}{{- toYaml $annotations -}}{{- end -}}
{{- end -}}

{{- define "aigateway.usesIdentity" -}}
{{- if and .root.Values.azureWorkloadIdentity.enabled .clientId -}}true{{- end -}}
{{- end -}}

{{/* Names are asked for everywhere; identities of virtual machines at one address, which speaks plain HTTP. */}}
{{- define "aigateway.egress" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
- ports:
    {{- range .Values.networkPolicy.egressPorts }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
- to:
    - ipBlock:
        cidr: 169.254.169.254/32
  ports:
    - port: 80
      protocol: TCP
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What would start and then not work. */}}
{{- define "aigateway.validate" -}}
{{- if eq "[]" (include "aigateway.workloads" .) -}}
{{- fail "nothing is enabled: proxy, controlPlane or all" -}}
{{- end -}}
{{- if and (include "aigateway.hasControlPlane" .) (eq .Values.store.kind "sqlite") -}}
{{- $plane := ternary .Values.all .Values.controlPlane .Values.all.enabled -}}
{{- if or (gt (int $plane.replicas) 1) (ne $plane.autoscaling.kind "none") -}}
{{- fail "store.kind is sqlite: one pod only may use the file. Set store.kind to postgresql or cosmos, or replicas to 1" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.all.enabled .Values.all.persistence.enabled (or (gt (int .Values.all.replicas) 1) (ne .Values.all.autoscaling.kind "none")) -}}
{{- fail "all.persistence is the data directory of one pod: set all.replicas to 1" -}}
{{- end -}}
{{- end -}}
