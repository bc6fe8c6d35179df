// Style sheets of what is not shown at first: they come with the module that needs them.

const loading = new Map();

/** A loader of a module that also loads its style sheets, so that nothing is shown without them. */
export const withStyles = (names, load) => async () => {
  const [module] = await Promise.all([load(), ...names.map(sheet)]);
  return module;
};

function sheet(name) {
  if (!loading.has(name)) {
    const link = document.createElement("link");
    const loaded = new Promise((resolve, reject) => {
      link.onload = resolve;
      link.onerror = () => {
        link.remove();
        loading.delete(name);
        reject(new Error(`The style sheet ${name} could not be loaded.`));
      };
    });
    link.rel = "stylesheet";
    link.href = new URL(`../../css/${name}.css`, import.meta.url).href;
    // Paper has the last word, as it has in the page.
    document.head.querySelector('link[media="print"]').before(link);
    loading.set(name, loaded);
  }
  return loading.get(name);
}
