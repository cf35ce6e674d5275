// Starts Swagger UI on the page that resources/docs.py makes. The standalone layout would add a bar whose logo has an
// inline style, which the page's policy forbids, and a field to load other descriptions.

window.ui = SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "/openapi.json",
  layout: "BaseLayout",
  deepLinking: true,
  validatorUrl: null, // else it sends the description's address to a service of others
  oauth2RedirectUrl: "/docs/oauth2-redirect.html",
});
