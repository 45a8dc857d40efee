# The smallest environment, planned without Azure.
mock_provider "azurerm" {}

variables {
  tenant_id       = "00000000-0000-4000-8000-000000000001"
  subscription_id = "00000000-0000-4000-8000-000000000002"
  image           = "registry.example/aigateway@sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

run "plan" {
  command = plan

  assert {
    condition     = azurerm_resource_group.group.name == "pvc-dev-aigateway-rg-san"
    error_message = "The resource group has another name."
  }

  assert {
    condition     = azurerm_container_app.app-proxy.template[0].min_replicas == 0
    error_message = "The environment does not scale to zero."
  }

  assert {
    condition     = azurerm_container_app.app-proxy.template[0].container[0].image == var.image
    error_message = "Another image would run."
  }
}

run "a_tag_is_refused" {
  command = plan

  variables {
    image = "registry.example/aigateway:latest"
  }

  expect_failures = [var.image]
}
