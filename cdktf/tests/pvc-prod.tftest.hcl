# Production with a network, planned without Azure.
mock_provider "azurerm" {}

variables {
  tenant_id       = "00000000-0000-4000-8000-000000000001"
  subscription_id = "00000000-0000-4000-8000-000000000002"
  image           = "registry.example/aigateway@sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

run "plan" {
  command = plan

  assert {
    condition     = azurerm_container_app.app-proxy.template[0].min_replicas == 2
    error_message = "One proxy alone is not redundant."
  }

  assert {
    condition     = azurerm_key_vault.vault.purge_protection_enabled
    error_message = "The vault could be purged."
  }

  assert {
    condition     = azurerm_container_app.app-control-plane.ingress[0].external_enabled == false
    error_message = "The control plane would be reachable from outside."
  }
}
