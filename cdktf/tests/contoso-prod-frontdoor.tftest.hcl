# One entrance before both regions.
mock_provider "azurerm" {
  mock_data "azurerm_container_app_environment" {
    defaults = {
      id             = "/subscriptions/00000000-0000-4000-8000-000000000003/resourceGroups/pvc-prod-contosogw-rg-weu/providers/Microsoft.App/managedEnvironments/pvc-prod-contosogw-cae-weu"
      default_domain = "kind-sea-1.westeurope.azurecontainerapps.io"
    }
  }
}

run "plan" {
  command = plan

  assert {
    condition     = azurerm_cdn_frontdoor_firewall_policy.firewall.mode == "Prevention"
    error_message = "The firewall would only look on."
  }

  assert {
    condition     = azurerm_cdn_frontdoor_origin.origin-neu.host_name == "pvc-prod-contosogw-ca-neu.kind-sea-1.westeurope.azurecontainerapps.io"
    error_message = "The proxies of a region would not be found."
  }
}
