# Two apps: proxies that anybody reaches, a control plane that nobody does from outside.
mock_provider "azurerm" {}

variables {
  tenant_id       = "00000000-0000-4000-8000-000000000001"
  subscription_id = "00000000-0000-4000-8000-000000000002"
  image           = "registry.example/aigateway@sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

run "plan" {
  command = plan

  assert {
    condition     = azurerm_container_app.app-proxy.ingress[0].external_enabled
    error_message = "Callers would not reach the proxies."
  }

  assert {
    condition     = !azurerm_container_app.app-control-plane.ingress[0].external_enabled
    error_message = "The control plane would be reached from outside."
  }

  assert {
    condition     = azurerm_container_app_job.migration.template[0].container[0].image == var.image
    error_message = "Another image would migrate the store."
  }
}
