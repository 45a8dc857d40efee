# Another tenant, names and region; PostgreSQL whose password is in no plan.
mock_provider "azurerm" {}

variables {
  postgres_password = "Planned-and-kept-nowhere-1"
  image             = "contoso.azurecr.io/aigateway@sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

run "plan" {
  command = plan

  assert {
    condition     = azurerm_resource_group.group.name == "pvc-prod-contosogw-rg-weu"
    error_message = "The resource group has another name."
  }

  assert {
    condition     = azurerm_container_app_environment.environment.public_network_access == "Disabled"
    error_message = "There would be an entrance beside Front Door."
  }
}
