CREATE TABLE productos (id INT AUTO_INCREMENT PRIMARY KEY, nombre VARCHAR(100) NOT NULL, precio DECIMAL(8, 2) NOT NULL);
INSERT INTO productos (nombre, precio) VALUES ('Cuaderno', 2.50), ('Mochila', 29.90);
