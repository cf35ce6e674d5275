// Starts Swagger UI on the page that resources/docs.py makes. The standalone layout would add a bar whose logo has an
// inline style, which the page's policy forbids, and a field to load other descriptions.

// The token is kept while the tab lives, so that a reload does not ask for it again. Swagger UI's own
// `persistAuthorization` would leave it in localStorage, for every tab and the next user of the browser.
const KEY = "docs-token";
const SCHEME = "bearer";

const stored = {
  get() {
    try {
      return sessionStorage.getItem(KEY);
    } catch {
      return null; // the browser keeps nothing: the token lasts as long as the page
    }
  },
  set(token) {
    try {
      if (token) sessionStorage.setItem(KEY, token);
      else sessionStorage.removeItem(KEY);
    } catch {}
  },
};

const keepToken = () => ({
  statePlugins: {
    auth: {
      wrapActions: {
        authorize: (original) => (schemes) => {
          if (schemes[SCHEME]) stored.set(schemes[SCHEME].value);
          return original(schemes);
        },
        logout: (original) => (names) => {
          if (names.includes(SCHEME)) stored.set(null);
          return original(names);
        },
      },
    },
  },
});

// Leaves out what nobody can use here: a choice of servers, of which there is one, and a field for the signature of a
// payment provider, which is made of the body and a secret, and not typed. Errors are shown by their examples, one for
// each code: the schema of a problem with a list of codes says less, and has to be merged anew for each answer.
function simplified(description) {
  delete description.servers;
  description.components.securitySchemes = { [SCHEME]: description.components.securitySchemes[SCHEME] };
  for (const methods of Object.values(description.paths)) {
    for (const operation of Object.values(methods)) {
      for (const { content = {} } of Object.values(operation.responses)) {
        for (const media of Object.values(content)) if (media.schema?.allOf) media.schema = { type: "object" };
      }
      if (!operation.security?.some((scheme) => SCHEME in scheme)) delete operation.security;
    }
  }
  return description;
}

const answer = await fetch("/openapi.json");

window.ui = SwaggerUIBundle({
  dom_id: "#swagger-ui",
  spec: simplified(await answer.json()),
  layout: "BaseLayout",
  deepLinking: true,
  defaultModelsExpandDepth: -1, // the models stand in the operations already
  plugins: [keepToken],
  validatorUrl: null, // else it sends the description's address to a service of others
  oauth2RedirectUrl: "/docs/oauth2-redirect.html",
  onComplete: () => {
    const token = stored.get();
    if (token) window.ui.preauthorizeApiKey(SCHEME, token);
  },
});
