#!/usr/bin/env bash
# Ends with an error unless an image may be deployed to one environment: signed by the `deploy` workflow of the main branch for the commit that is deployed, which is not older than
# the commit whose image has the calls there.
#
#   scripts/azure/check-image.sh --env dev --image IMAGE --commit SHA --repo OWNER/NAME [--client pvc]
#
# Needs cosign, and the history of the main branch in the checkout.

. "$(dirname "$0")/common.sh"

image=
commit=
repo=
take image=image commit=commit repo=repo -- "$@"
[ -n "$image" ] || die '--image is needed: by its digest; see --help'
[[ $commit =~ ^[0-9a-f]{40}$ ]] || die '--commit is needed: all 40 digits; see --help'
[[ $repo == */* ]] || die '--repo is needed: OWNER/NAME; see --help'

# signed IMAGE OPTIONS…: what is known of an image whose signature holds, as JSON.
signed() {
  cosign verify "$1" --output json --certificate-oidc-issuer https://token.actions.githubusercontent.com \
    --certificate-identity "https://github.com/$repo/.github/workflows/deploy.yml@refs/heads/main" "${@:2}"
}

signed "$image" --certificate-github-workflow-sha "$commit" >/dev/null ||
  die "No signature says that $image is what $repo made of $commit: it is not deployed."

running=$("$(dirname "$0")/traffic.sh" --client "$client" --env "$environment" --to image)
case $running in
  # Nothing runs there yet, or this very image.
  none.invalid/* | "$image") exit 0 ;;
  "ghcr.io/${repo,,}@"*) ;;
  *)
    say "$running has the calls in $environment, and was brought there by hand: whether it is older cannot be said."
    exit 0
    ;;
esac
known=$(signed "$running") || die "No signature says of which commit $running is, which has the calls in $environment."
before=$(sed -n 's/.*"githubWorkflowSha": *"\([0-9a-f]\{40\}\)".*/\1/p' <<<"$known" | head -n 1)
[ -n "$before" ] || die "The signature of $running names no commit."
git -C "$project" merge-base --is-ancestor "$before" "$commit" ||
  die "$environment runs $before already, and $commit does not come after it: nothing is done. To go back, revert and merge; for the time being, traffic.sh --to back."
