document.title = "Pages made by Vite";
