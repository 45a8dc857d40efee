# Everything in one app, with another client's names and region.
mock_provider "azurerm" {}

variables {
  subscription_id = "00000000-0000-4000-8000-000000000003"
  image           = "contoso.azurecr.io/aigateway@sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

run "plan" {
  command = plan

  assert {
    condition     = azurerm_container_app.app-all.name == "pvc-dev-contosogw-ca-weu"
    error_message = "The app has another name."
  }

  assert {
    condition     = azurerm_container_app.app-all.template[0].min_replicas == 1
    error_message = "The control plane would be scaled to nothing with the app."
  }
}
