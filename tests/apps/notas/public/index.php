<?php
require '/srv/db.php';

$db = db();
$db->exec("INSERT INTO visits VALUES ('index', 1) ON DUPLICATE KEY UPDATE number = number + 1");
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $db->prepare('INSERT INTO notes (text) VALUES (?)')->execute([$_POST['text'] ?? '']);
    header('Location: /', true, 303);
    exit;
}
?>
<!doctype html>
<title>Notas</title>
<h1>Notas, versión <?= VERSION ?></h1>
<ul>
<?php foreach ($db->query('SELECT text FROM notes ORDER BY id') as $note): ?>
  <li><?= htmlspecialchars($note['text']) ?></li>
<?php endforeach ?>
</ul>
<form method="post"><input name="text"><button>Guardar</button></form>
